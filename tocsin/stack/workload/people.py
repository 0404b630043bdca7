"""Customers, products and ids of the sample shop."""

import random
import string

_FIRST = ("Amélie", "Bo", "Chidi", "Dana", "Elif", "Farid", "Grace", "Hana", "Ivo", "Jun", "Karim", "Lucía", "Mina")
_LAST = ("Abe", "Brandt", "Costa", "Diallo", "Eriksen", "Fuchs", "García", "Haddad", "Ito", "Jansen", "Kaya", "Lopez")
_PRODUCTS = ("lamp", "desk", "kettle", "chair", "rug", "mirror", "shelf", "blanket", "clock", "vase")


def name(rng: random.Random) -> str:
    return f"{rng.choice(_FIRST)} {rng.choice(_LAST)}"


def email(rng: random.Random) -> str:
    return f"{rng.choice(_LAST).lower().replace('í', 'i')}.{rng.randint(1, 999)}@example.com"


def product(rng: random.Random) -> str:
    return rng.choice(_PRODUCTS)


def order_number(rng: random.Random) -> str:
    return f"ORD-{rng.randint(10_000, 99_999)}"


def token(rng: random.Random, prefix: str, length: int = 16) -> str:
    """An id as payment providers make them, such as ch_3Nf…"""
    return prefix + "".join(rng.choices(string.ascii_letters + string.digits, k=length))
