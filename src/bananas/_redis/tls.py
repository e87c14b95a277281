"""Makes a TLS context out of a URL's options, and says which option's file is wrong."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, Mapping, Optional

__all__ = ["TlsOptionError", "make_context"]

_MODES = {
    "required": ssl.CERT_REQUIRED,
    "optional": ssl.CERT_OPTIONAL,
    "none": ssl.CERT_NONE,
}
_CERTIFICATES = (b"BEGIN CERTIFICATE-----", b"BEGIN X509 CERTIFICATE-----",
                 b"BEGIN TRUSTED CERTIFICATE-----")  # fmt: skip
_INSTEAD = "pass an ssl.SSLContext as ssl_context"


class TlsOptionError(Exception):
    """A file that an option names can't be used; the text begins with ``option``."""


class _WantsPassword(Exception):
    """The key is encrypted; without this, Python would ask for the password on the terminal."""


def make_context(options: Mapping[str, Any]) -> ssl.SSLContext:
    """Return a context as the ``ssl_*`` options of a URL ask for.

    Raises:
        TlsOptionError: A file is missing, can't be read, or holds something else.
    """
    mode = options.get("ssl_cert_reqs", "required")
    authorities = options.get("ssl_ca_certs")
    if authorities is not None:
        _check_certificates("ssl_ca_certs", _read("ssl_ca_certs", authorities))
    try:
        context = ssl.create_default_context(cafile=authorities)
    except (ssl.SSLError, ValueError) as error:
        raise TlsOptionError(_unfit("ssl_ca_certs", authorities, error)) from None
    context.check_hostname = options.get("ssl_check_hostname", mode == "required")
    context.verify_mode = _MODES[mode]
    if "ssl_certfile" in options:
        _load_certificate(context, options["ssl_certfile"], options.get("ssl_keyfile"))
    return context


def _load_certificate(context: ssl.SSLContext, certificate: str, key: Optional[str]) -> None:
    text = _read("ssl_certfile", certificate)
    _check_certificates("ssl_certfile", text)
    name = "ssl_certfile" if key is None else "ssl_keyfile"
    if b"PRIVATE KEY-----" not in (text if key is None else _read("ssl_keyfile", key)):
        raise TlsOptionError(
            f"option ssl_certfile names {certificate!r}, which holds no private key: "
            "name the key's file with ssl_keyfile"
            if key is None
            else f"option ssl_keyfile names {key!r}, which holds no private key in PEM form"
        )
    try:
        context.load_cert_chain(certificate, key, password=_refuse_to_ask)
    except _WantsPassword:
        raise TlsOptionError(
            f"option {name} names {key or certificate!r}, whose key is encrypted: "
            f"decrypt it, or load it yourself and {_INSTEAD}"
        ) from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise TlsOptionError(
                f"option {name} names {key or certificate!r}, whose key does not belong to the "
                "certificate of ssl_certfile"
            ) from None
        raise TlsOptionError(_unfit(name, key or certificate, error)) from None
    except (OSError, ValueError) as error:
        raise TlsOptionError(_unfit(name, key or certificate, error)) from None


def _refuse_to_ask() -> str:
    raise _WantsPassword


def _read(option: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or "not a file's name").lower()
        raise TlsOptionError(
            f"option {option} names {path!r}, which can't be read: {reason}"
        ) from None


def _check_certificates(option: str, text: bytes) -> None:
    if any(mark in text for mark in _CERTIFICATES):
        return
    if b"CERTIFICATE REQUEST-----" in text:
        raise TlsOptionError(
            f"option {option} names a certificate signing request: name the certificate that the "
            "authority made of it"
        )
    raise TlsOptionError(f"option {option} names a file that holds no certificate in PEM form")


def _unfit(option: str, path: Optional[str], error: Exception) -> str:
    reason = getattr(error, "reason", None) or type(error).__name__
    return (
        f"option {option} names {path!r}, which can't be used: {reason.lower().replace('_', ' ')}"
    )
