"""``python -m examples.django_users``"""

from examples.django_users.app import settings
from examples.serving import serve

if __name__ == "__main__":
    serve("examples.django_users.app:app", settings)
