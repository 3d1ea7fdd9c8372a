"""maskclr-edge: skeleton action recognition with MaskCLR, from training to the edge."""

__version__ = "0.1.0"
