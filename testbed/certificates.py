"""The cluster's certificates and kubeconfigs: an own authority per cluster, nothing shared."""

import base64
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = dt.timedelta(days=365)


@dataclass(frozen=True)
class Authority:
    """A certificate authority kept in a folder as ca.crt and ca.key (PEM)."""

    folder: Path

    @classmethod
    def create(cls, folder: Path) -> "Authority":
        """Make the authority and the key pair that signs ServiceAccount tokens."""
        folder.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "testbed")])
        builder = _builder(subject, subject, key).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        _write(folder / "ca.key", _private(key))
        certificate = builder.sign(key, hashes.SHA256())
        _write(folder / "ca.crt", certificate.public_bytes(serialization.Encoding.PEM))
        tokens = ec.generate_private_key(ec.SECP256R1())
        _write(folder / "sa.key", _private(tokens))
        _write(
            folder / "sa.pub",
            tokens.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            ),
        )
        return cls(folder)

    def issue(
        self,
        file: Path,
        user: str,
        groups: Sequence[str] = (),
        names: Sequence[str] = (),
        addresses: Sequence[IPv4Address] = (),
    ) -> None:
        """Write FILE.crt and FILE.key for a user; a server also has `names` and `addresses`."""
        ca = x509.load_pem_x509_certificate((self.folder / "ca.crt").read_bytes())
        ca_key = serialization.load_pem_private_key((self.folder / "ca.key").read_bytes(), None)
        assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups),
                x509.NameAttribute(NameOID.COMMON_NAME, user),
            ]
        )
        usages = x509.ExtendedKeyUsage(
            [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        )
        builder = _builder(subject, ca.subject, key).add_extension(usages, critical=False)
        served = [*map(x509.DNSName, names), *map(x509.IPAddress, addresses)]
        if served:
            builder = builder.add_extension(x509.SubjectAlternativeName(served), critical=False)
        certificate = builder.sign(ca_key, hashes.SHA256())
        file.parent.mkdir(parents=True, exist_ok=True)
        _write(Path(f"{file}.crt"), certificate.public_bytes(serialization.Encoding.PEM))
        _write(Path(f"{file}.key"), _private(key))

    def kubeconfig(self, file: Path, cluster: str, server: str, client: Path) -> None:
        """Write a self-contained kubeconfig with the client certificate CLIENT.crt, CLIENT.key."""
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": cluster,
                    "cluster": {
                        "server": server,
                        "certificate-authority-data": _base64(self.folder / "ca.crt"),
                    },
                }
            ],
            "users": [
                {
                    "name": client.name,
                    "user": {
                        "client-certificate-data": _base64(Path(f"{client}.crt")),
                        "client-key-data": _base64(Path(f"{client}.key")),
                    },
                }
            ],
            "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": client.name}}],
            "current-context": cluster,
        }
        _write(file, yaml.safe_dump(document, sort_keys=False).encode())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
    )


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _base64(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()


def _write(file: Path, content: bytes) -> None:
    file.touch(mode=0o600)
    file.write_bytes(content)
