"""The brand of a deployment: what pages and mails are called and look like."""

from czo_auth.brand.brand import Brand
from czo_auth.brand.colors import Accent, contrast
from czo_auth.brand.images import Image, read_favicon, read_logo

__all__ = ["Accent", "Brand", "Image", "contrast", "read_favicon", "read_logo"]
