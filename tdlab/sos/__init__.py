"""Sums of squares: certificates for the maximum of a form on the sphere."""

from tdlab.sos.certificate import Certificate, CertificateStatus
from tdlab.sos.front import certify
from tdlab.sos.memory import required_memory
from tdlab.sos.spectral import flattening_bound, traceless_bound

__all__ = [
    "Certificate",
    "CertificateStatus",
    "certify",
    "flattening_bound",
    "required_memory",
    "traceless_bound",
]
