"""Whose certificates a server is believed by, and who signed one."""

import re
import ssl
from collections.abc import Iterator
from pathlib import Path

# A file a region, as AWS has it at https://truststore.pki.rds.amazonaws.com/REGION/REGION-bundle.pem
# One file of all regions takes ten times as long to load.
RDS_ROOTS = Path(__file__).with_name("rds_roots")


def context(ca: str, host: str) -> ssl.SSLContext | None:
    """Return what verifies a server's certificate and name, by `ca`: `rds`, PEM, or `off` (None).

    `rds` is Amazon RDS's own roots of the region in the host's name. ValueError says what is wrong.
    """
    if ca == "off":
        return None
    if ca != "rds":
        try:
            return ssl.create_default_context(cadata=ca)
        except (ssl.SSLError, TypeError) as error:  # TypeError: it is not ASCII
            raise ValueError(f"takes rds, off or certificates in PEM form: {error}") from None
    region = re.search(r"\.([a-z0-9-]+)\.rds\.amazonaws\.com\Z", host)
    if not region:
        raise ValueError(
            f"rds is for a host named ….REGION.rds.amazonaws.com, not {host}: give PEM"
        )
    file = RDS_ROOTS / f"{region[1]}.pem"
    if not file.is_file():
        raise ValueError(f"rds has no roots of {region[1]} yet: give PEM")
    return ssl.create_default_context(cafile=file)


def issuer(certificate: bytes) -> str:
    """Return the name of who signed a certificate (DER), its parts as they come; 200 characters.

    https://www.rfc-editor.org/rfc/rfc5280#section-4.1
    """
    [whole] = _values(certificate)
    signed, *_ = _values(whole)
    _version, _number, _algorithm, name, *_ = _values(signed)
    parts = (tuple(_values(attribute))[1] for part in _values(name) for attribute in _values(part))
    return ", ".join(text.decode(errors="replace") for text in parts)[:200]


def _values(der: bytes) -> Iterator[bytes]:
    """Yield what stands in each of the elements that follow one another in DER."""
    while der:
        length, start = der[1], 2
        if length >= 0x80:  # so many bytes of length come first
            start += length - 0x80
            length = int.from_bytes(der[2:start], "big")
        yield der[start : start + length]
        der = der[start + length :]
