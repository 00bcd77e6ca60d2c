"""The thing under test, in torch terms."""
