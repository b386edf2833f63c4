"""What is to be learned: two-layer networks with polynomial activations on Gaussian inputs."""

from tdlab.networks.activation import Activation
from tdlab.networks.ensembles import ensembles
from tdlab.networks.hermite import HermiteBasis, HermitePolynomial, gaussian_polynomial
from tdlab.networks.radial import RadialPolynomial
from tdlab.networks.sampling import sample_network
from tdlab.networks.two_layer import TwoLayerNetwork

__all__ = [
    "Activation",
    "HermiteBasis",
    "HermitePolynomial",
    "RadialPolynomial",
    "TwoLayerNetwork",
    "ensembles",
    "gaussian_polynomial",
    "sample_network",
]
