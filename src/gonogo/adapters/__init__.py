"""What a user has -> Subject: one file per way in."""
