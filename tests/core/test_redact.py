import pytest
from hypothesis import given
from hypothesis import strategies as st

from gonogo.core.redact import HIDDEN, redact

SECRET = "Zx81Kq0Tb7Lm42Vn9Rw3Yc6Pd5"  # made up

PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n{SECRET}\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "PASSWORD",
        "db_passwd",
        "api_key",
        "apiKey",
        "api-key",
        "hf_token",
        "token",
        "client_secret",
        "credentials",
        "aws_access_key",
        "private_key",
        "passphrase",
    ],
)
def test_a_text_under_a_secret_name_vanishes_at_any_depth(key):
    hidden = redact({"logger": [{"wandb": {key: SECRET, "project": "p"}}]})
    assert hidden == {"logger": [{"wandb": {key: HIDDEN, "project": "p"}}]}


def test_a_list_under_a_secret_name_vanishes_item_by_item():
    assert redact({"tokens": [SECRET, SECRET]}) == {"tokens": [HIDDEN, HIDDEN]}


@pytest.mark.parametrize(
    "token",
    [
        "hf_" + SECRET,
        "sk-" + SECRET,
        "sk-proj-" + SECRET,
        "ghp_" + SECRET,
        "github_pat_" + SECRET,
        "AKIA" + "Q" * 16,
        "xoxb-" + SECRET,
        "AIza" + SECRET + SECRET,
    ],
)
@pytest.mark.parametrize("around", ["{}", "login failed: {} is not valid", "x={};", "'{}'", "run --key {} --lr 3"])
def test_a_token_of_a_known_shape_vanishes_from_any_text(token, around):
    hidden = redact(around.format(token))
    assert SECRET not in hidden
    assert token not in hidden
    assert HIDDEN in hidden


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("https://me:hunter2@host/path", f"https://{HIDDEN}@host/path"),
        ("postgresql://me:hunter2@db:5432/x", f"postgresql://{HIDDEN}@db:5432/x"),
        ("clone https://a:b@h.org and https://c:d@h.org", f"clone https://{HIDDEN}@h.org and https://{HIDDEN}@h.org"),
    ],
)
def test_user_and_password_vanish_from_an_address_and_the_rest_stays(text, hidden):
    assert redact(text) == hidden


@pytest.mark.parametrize("text", [PEM, f"before\n{PEM}\nafter", PEM.replace("RSA ", ""), PEM.split("\n-----END")[0]])
def test_a_private_key_vanishes_even_if_it_is_cut_off(text):
    assert SECRET not in redact(text)


def test_what_surrounds_a_private_key_stays():
    assert redact(f"before\n{PEM}\nafter") == f"before\n{HIDDEN}\nafter"


@pytest.mark.parametrize(
    "text",
    [
        "password={}",
        "password: {}",
        "PASSWORD = '{}'",
        '"api_key": "{}"',
        "WANDB_API_KEY={}",
        "auth_token={}",
        "--api-key={}",
        "db-password={},",
        "AWS_SECRET_ACCESS_KEY={}",
        "access_token: Bearer {}",
        "train.py --token {} --lr 1",
        "--hub_token {}",
        "--db-password '{} and more'",
    ],
)
def test_an_assigned_secret_vanishes_from_a_command_or_message(text):
    hidden = redact(text.format(SECRET))
    assert SECRET not in hidden
    assert HIDDEN in hidden


@pytest.mark.parametrize(
    "ordinary",
    [
        {"max_tokens": 512, "token": 3, "pad_token_id": 0, "password": None, "n_tokens": [1, 2]},
        {"tokenizer": "bert-base-uncased", "tokenizer_name": "gpt2", "tokenization": "bpe"},
        {"pad_token": "<pad>", "mask_token": "[MASK]", "special_tokens": ["<s>", "</s>"]},
        {"lr": 3e-4, "learning_rate": "3e-4", "keys": ["audio", "text"], "key": "speaker"},
        {"secretary": "a person", "passes": "three", "monkey": "see"},
        {"path": "s3://bucket/data", "url": "https://host:8080/path", "mail": "me@host.org"},
    ],
)
def test_ordinary_settings_stay(ordinary):
    assert redact(ordinary) == ordinary


@pytest.mark.parametrize(
    "text",
    [
        "token accuracy 0.9",
        "max_tokens: 512",
        "tokens/s: 120394.1234",
        "the tokenizer adds 2 tokens: [CLS] and [SEP]",
        "task-specific-heads-and-more-of-them",
        "learning rate: 0.000123456",
        "model.encoder.key_proj.weight",
        "commit 8f31c2077a0b6f1e8f31c2077a0b6f1e8f31c207",
        "secret: no",
        "train.py --max-tokens 5120000 --pad-token endoftext --key speaker_name --token <pad>",
        "--api-key $WANDB_API_KEY --password -v",
    ],
)
def test_ordinary_words_stay(text):
    assert redact(text) == text


def test_a_reference_to_the_environment_is_no_secret():
    assert redact({"api_key": "$WANDB_API_KEY"}) == {"api_key": "$WANDB_API_KEY"}


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.tuples(x)))
def test_redacting_twice_is_redacting_once(value):
    assert redact(redact(value)) == redact(value)


@given(st.dictionaries(st.text(), st.integers() | st.booleans() | st.none()))
def test_numbers_are_never_touched(numbers):
    assert redact(numbers) == numbers


@pytest.mark.parametrize("text", ["train.py --wandb-key {} --lr 1", "wandb login {}", "--key={}"])
def test_the_digits_of_a_key_vanish_from_a_command(text):
    assert redact(text.format("0123456789abcdef" * 3)) == text.format(HIDDEN)


def test_a_bare_hexadecimal_key_of_a_service_vanishes():
    value = "0123456789abcdef0123456789abcdef01234567"
    assert value not in str(redact({"wandb": value, "logger": {"comet_key": value}}))


def test_a_digest_stays():
    value = "0123456789abcdef0123456789abcdef01234567"
    assert redact({"git commit": value}) == {"git commit": value}
