"""Settings are taken as they are meant, or refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from refguard_litellm.settings import DEFAULT_URL, Settings, SettingsError


def test_nothing_said_is_the_careful_choice() -> None:
    settings = Settings.from_environment({"REFGUARD_TOKEN": "", "REFGUARD_MAX_STALENESS": " "})
    assert settings == Settings()
    assert settings.url == DEFAULT_URL
    assert not settings.allow_before_first_set
    assert not settings.allow_database


def test_what_is_said_is_taken() -> None:
    settings = Settings.from_environment(
        {
            "REFGUARD_URL": "unix:/run/refguard.sock",
            "REFGUARD_TOKEN_FILE": "/run/secrets/refguard",
            "REFGUARD_SET": "staging",
            "REFGUARD_CA_FILE": "/etc/ca.pem",
            "REFGUARD_WAIT": "20",
            "REFGUARD_RETRY_MAX": "2.5",
            "REFGUARD_BEFORE_FIRST_SET": "allow",
            "REFGUARD_MAX_STALENESS": "600",
            "REFGUARD_ALLOW_DATABASE_POLICIES": "True",
            "REFGUARD_MAX_BUNDLE_BYTES": "1000",
            "REFGUARD_DECISION_LOG": "-",
            "REFGUARD_DECISION_SAMPLE": "100",
            "REFGUARD_DECISION_HASH_KEYS": "yes",
            "REFGUARD_REPOSITORY": "https://git.example.org/policies",
        }
    )
    assert settings == Settings(
        url="unix:/run/refguard.sock",
        token_file=Path("/run/secrets/refguard"),
        set_name="staging",
        ca_file=Path("/etc/ca.pem"),
        wait=20,
        retry_max=2.5,
        allow_before_first_set=True,
        max_staleness=600,
        allow_database=True,
        max_bundle_bytes=1000,
        decision_log="-",
        decision_sample=100,
        decision_hash_keys=True,
        repository="https://git.example.org/policies",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REFGUARD_URL", "127.0.0.1:8731"),
        ("REFGUARD_URL", "ftp://host"),
        ("REFGUARD_URL", "http://"),
        ("REFGUARD_URL", "http://host:99999"),
        ("REFGUARD_URL", "http://[bad"),
        ("REFGUARD_URL", "http://me:secret@host"),
        ("REFGUARD_URL", "http://host/?set=x"),
        ("REFGUARD_URL", "unix:relative.sock"),
        ("REFGUARD_DECISION_LOG", "/dev/null/decisions"),
        ("REFGUARD_DECISION_LOG", "/"),
        ("REFGUARD_DECISION_SAMPLE", "0"),
        ("REFGUARD_DECISION_HASH_KEYS", "perhaps"),
        ("REFGUARD_WAIT", "0"),
        ("REFGUARD_WAIT", "soon"),
        ("REFGUARD_WAIT", "nan"),
        ("REFGUARD_MAX_STALENESS", "30"),
        ("REFGUARD_MAX_STALENESS", "inf"),
        ("REFGUARD_BEFORE_FIRST_SET", "maybe"),
        ("REFGUARD_ALLOW_DATABASE_POLICIES", "2"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_environment({name: value})


def test_a_secret_is_not_shown() -> None:
    with pytest.raises(SettingsError, match="both"):
        Settings.from_environment({"REFGUARD_TOKEN": "s3cret", "REFGUARD_TOKEN_FILE": "/f"})
    assert "s3cret" not in repr(Settings.from_environment({"REFGUARD_TOKEN": "s3cret"}))
    with pytest.raises(SettingsError) as raised:
        Settings.from_environment({"REFGUARD_URL": "http://me:s3cret@host"})
    assert "s3cret" not in str(raised.value)
