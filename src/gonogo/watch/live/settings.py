"""The settings of a watch during training: those of a profile, with single changes."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from gonogo.core.profile import load_profile
from gonogo.core.watch_settings import WatchSettings
from gonogo.errors import ProfileError, did_you_mean


def settings_of(profile: str | Mapping[str, Any] | None, changes: Mapping[str, Any]) -> WatchSettings:
    """The settings in a profile (name, path, or the mapping below its `watch:`), with single changes.

    Raises:
        ProfileError: An unknown key or a value that does not fit; the message has the nearest valid name.
    """
    below = load_profile(profile).watch.model_dump(exclude_unset=True) if isinstance(profile, str) else profile or {}
    try:
        return WatchSettings.model_validate({**below, **changes})
    except ValidationError as error:
        first = error.errors(include_input=False)[0]  # the address of a webhook may be a secret
        key, valid = str(first["loc"][0]), list(WatchSettings.model_fields)
        if first["type"] == "extra_forbidden":
            text = f"unknown key. It takes: {', '.join(valid)}.{did_you_mean(key, valid)}"
        else:
            text = f"{first['msg'][0].lower()}{first['msg'][1:]}"
        raise ProfileError(f"watch.{key}: {text}") from None
