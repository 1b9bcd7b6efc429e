import re
import ssl
from itertools import product
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from common.certificates import RDS_ROOTS, context, issuer

# Each root: SHA-256 of the certificate, its last day, its name.
KNOWN = Path(__file__).with_name("rds_roots.txt").read_text().splitlines()
KINDS = {"RSA2048", "RSA4096", "ECC384"}
TOKYO = "myapp.cluster-ro-abcdefghijkl.ap-northeast-1.rds.amazonaws.com"


def roots(region):
    return x509.load_pem_x509_certificates((RDS_ROOTS / f"{region}.pem").read_bytes())


def line(root):
    [name] = root.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    until = root.not_valid_after_utc.date()
    return f"{root.fingerprint(hashes.SHA256()).hex()} {until} {name.value}"


REGIONS = sorted(path.stem for path in RDS_ROOTS.iterdir())


def test_the_roots_are_the_known_ones():
    assert sorted(line(root) for region in REGIONS for root in roots(region)) == sorted(KNOWN)


@pytest.mark.parametrize("region", REGIONS)
def test_a_regions_roots_are_its_own_authorities_and_last(region):
    found = roots(region)
    names = {line(root).split(" ", 2)[2] for root in found}
    assert names == {f"Amazon RDS {region} Root CA {kind} G1" for kind in KINDS}
    for root in found:
        root.verify_directly_issued_by(root)
        constraints = root.extensions.get_extension_for_class(x509.BasicConstraints)
        assert constraints.critical
        assert constraints.value.ca
        assert root.not_valid_after_utc.year >= 2061
    # Nothing else stands in the file: it is what AWS gives for the region, byte for byte.
    text = b"".join(root.public_bytes(Encoding.PEM) for root in found)
    assert (RDS_ROOTS / f"{region}.pem").read_bytes() == text


def test_each_known_region_has_three():
    names = [known.split(" ", 2)[2] for known in KNOWN]
    said = [re.fullmatch(r"Amazon RDS (\S+) Root CA (\S+) G1", name).groups() for name in names]
    assert sorted(said) == sorted(product(REGIONS, KINDS))
    assert {"ap-northeast-1", "ap-northeast-3"} <= set(REGIONS)
    assert len(REGIONS) == 28


def test_rds_is_the_roots_of_the_hosts_region():
    trusted = context("rds", TOKYO)
    assert trusted.verify_mode == ssl.CERT_REQUIRED
    assert trusted.check_hostname
    der = [root.public_bytes(Encoding.DER) for root in roots("ap-northeast-1")]
    assert sorted(trusted.get_ca_certs(binary_form=True)) == sorted(der)


def test_pem_is_that_and_nothing_else():
    authority = trustme.CA()
    trusted = context(authority.cert_pem.bytes().decode(), TOKYO)
    assert trusted.verify_mode == ssl.CERT_REQUIRED
    assert trusted.check_hostname
    assert len(trusted.get_ca_certs()) == 1


def test_off_is_no_context():
    assert context("off", TOKYO) is None


@pytest.mark.parametrize(
    ("ca", "host", "said"),
    [
        ("rds", "db.example.com", "….REGION.rds.amazonaws.com, not db.example.com"),
        ("rds", "ap-northeast-1.rds.amazonaws.com.example.com", "….REGION.rds.amazonaws.com, not"),
        ("rds", "x.ap-northeast-1.rds.amazonaws.com\n", "….REGION.rds.amazonaws.com, not"),
        ("rds", "db.x.mx-central-1.rds.amazonaws.com", "no roots of mx-central-1 yet: give PEM"),
        ("RDS", TOKYO, "takes rds, off or certificates in PEM form: "),
        ("見", TOKYO, "takes rds, off or certificates in PEM form: "),
        (
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
            TOKYO,
            "takes rds, off or certificates in PEM form: ",
        ),
    ],
)
def test_what_is_wrong_is_said(ca, host, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        context(ca, host)


def test_the_issuer_is_named_in_its_parts():
    der = roots("ap-northeast-1")[0].public_bytes(Encoding.DER)
    assert issuer(der) == (
        "US, Amazon Web Services, Inc., Amazon RDS, WA, "
        "Amazon RDS ap-northeast-1 Root CA RSA4096 G1, Seattle"
    )
    authority = trustme.CA(organization_name="見守り", organization_unit_name="x" * 300)
    leaf = authority.issue_cert("db.test", common_name="db.test").cert_chain_pems[0].bytes()
    der = x509.load_pem_x509_certificate(leaf).public_bytes(Encoding.DER)
    assert issuer(der) == f"見守り, {'x' * 300}"[:200]
