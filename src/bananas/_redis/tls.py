"""The TLS options of a URL: reads them, makes a context of them, and says which file is wrong."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Tuple

from .url_mistakes import Refused

__all__ = ["TlsOptionError", "make_context", "tls_options"]

_MODES = {
    "required": ssl.CERT_REQUIRED,
    "optional": ssl.CERT_OPTIONAL,
    "none": ssl.CERT_NONE,
}
#: What each option's value must be, for messages; and where only some words will do, their values.
_OPTIONS: Dict[str, Tuple[str, Optional[Dict[str, Any]]]] = {
    "ssl_ca_certs": ("a file of CA certificates", None),
    "ssl_certfile": ("a file with the client's certificate", None),
    "ssl_keyfile": ("a file with the client's key", None),
    "ssl_cert_reqs": (
        "required, optional or none",
        {start + mode: mode for mode in _MODES for start in ("", "cert_")},
    ),
    "ssl_check_hostname": (
        "true or false",
        {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False},
    ),
}
_CERTIFICATES = (b"BEGIN CERTIFICATE-----", b"BEGIN X509 CERTIFICATE-----",
                 b"BEGIN TRUSTED CERTIFICATE-----")  # fmt: skip


class TlsOptionError(Refused):
    """A file that an option names can't be used; the text begins with ``option``."""


class _WantsPassword(Exception):
    """The key is encrypted; without this, Python would ask for the password on the terminal."""


def tls_options(options: Dict[str, str]) -> Tuple[Tuple[str, Any], ...]:
    """Take the options that TLS has out of all options, and return them.

    Raises:
        Refused: A value is wrong.
    """
    found: Dict[str, Any] = {}
    for name, (meaning, words) in _OPTIONS.items():
        if name not in options:
            continue
        text = options.pop(name)
        found[name] = words.get(text.lower()) if words else text
        if found[name] in (None, ""):
            raise Refused(f"option {name} must be {meaning}")
    if found.get("ssl_cert_reqs") == "none" and found.get("ssl_check_hostname"):
        raise Refused("option ssl_check_hostname can't be true with ssl_cert_reqs=none")
    if "ssl_keyfile" in found and "ssl_certfile" not in found:
        raise Refused("option ssl_keyfile needs ssl_certfile, the certificate that the key is for")
    return tuple(found.items())


def make_context(options: Mapping[str, Any]) -> ssl.SSLContext:
    """Return a context as the ``ssl_*`` options of a URL ask for.

    Raises:
        TlsOptionError: A file is missing, can't be read, or holds something else.
    """
    mode = options.get("ssl_cert_reqs", "required")
    authorities = options.get("ssl_ca_certs")
    if authorities is not None:
        _read_certificates("ssl_ca_certs", authorities)
    try:
        context = ssl.create_default_context(cafile=authorities)
    except OSError as error:
        raise _fault("ssl_ca_certs", authorities, _unfit(error)) from None
    context.check_hostname = options.get("ssl_check_hostname", mode == "required")
    context.verify_mode = _MODES[mode]
    if "ssl_certfile" in options:
        _load_certificate(context, options["ssl_certfile"], options.get("ssl_keyfile"))
    return context


def _load_certificate(context: ssl.SSLContext, certificate: str, key: Optional[str]) -> None:
    text = _read_certificates("ssl_certfile", certificate)
    option, path, missing = "ssl_certfile", certificate, ": name the key's file with ssl_keyfile"
    if key is not None:
        option, path, missing = "ssl_keyfile", key, " in PEM form"
        text = _read(option, path)
    if b"PRIVATE KEY-----" not in text:
        raise _fault(option, path, f"which holds no private key{missing}")
    try:
        context.load_cert_chain(certificate, key, password=_refuse_to_ask)
        return
    except _WantsPassword:
        problem = (
            "whose key is encrypted: decrypt it, or load it yourself and pass an ssl.SSLContext "
            "as ssl_context"
        )
    except OSError as error:
        problem = _unfit(error)
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            problem = "whose key does not belong to the certificate of ssl_certfile"
    raise _fault(option, path, problem)


def _refuse_to_ask() -> str:
    raise _WantsPassword


def _read(option: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or "not a file's name").lower()
        raise _fault(option, path, f"which can't be read: {reason}") from None


def _read_certificates(option: str, path: str) -> bytes:
    text = _read(option, path)
    if any(mark in text for mark in _CERTIFICATES):
        return text
    if b"CERTIFICATE REQUEST-----" in text:
        raise TlsOptionError(
            f"option {option} names a certificate signing request: name the certificate that the "
            "authority made of it"
        )
    raise TlsOptionError(f"option {option} names a file that holds no certificate in PEM form")


def _unfit(error: Exception) -> str:
    reason = getattr(error, "reason", None) or type(error).__name__
    return f"which can't be used: {reason.lower().replace('_', ' ')}"


def _fault(option: str, path: Optional[str], problem: str) -> TlsOptionError:
    return TlsOptionError(f"option {option} names {path!r}, {problem}")
