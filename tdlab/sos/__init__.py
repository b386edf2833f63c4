"""Sums of squares: certificates for the maximum of a form on the sphere."""

from tdlab.sos.certificate import Certificate, CertificateStatus
from tdlab.sos.front import certify, required_memory

__all__ = ["Certificate", "CertificateStatus", "certify", "required_memory"]
