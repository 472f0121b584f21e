"""``python -m examples.django_host``"""

from examples.django_host.app import settings
from examples.serving import serve

if __name__ == "__main__":
    serve("examples.django_host.app:app", settings)
