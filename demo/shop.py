# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of a small web shop that sells things for walking and camping.

Everything is drawn from one seed, so that each run of the demo has the same shop; only its dates count back from
now. Money is in cents.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

TABLES = ("customers", "products", "orders", "order_lines")
Row = tuple[object, ...]

_CUSTOMERS = 640
_ORDERS = 3200
_MONTHS_OPEN = 18
_SHIPPING = 495
_FREE_SHIPPING_FROM = 7500

_GIVEN = (
    "Ada", "Aylin", "Bruno", "Carla", "Daan", "Dewi", "Elif", "Emil", "Farah", "Femke", "Goran",
    "Hanna", "Ines", "Ivo", "Jonas", "Joanna", "Kofi", "Lars", "Leila", "Lotte", "Malik", "Marta",
    "Mila", "Nadia", "Noah", "Nora", "Olga", "Omar", "Petra", "Pieter", "Rosa", "Ruben", "Samir",
    "Sofia", "Tariq", "Tess", "Vera", "Wim", "Yara", "Zoe",
)  # fmt: skip
_FAMILY = (
    "Aalders", "Bakker", "Berg", "Costa", "Dekker", "Demir", "Evers", "Fischer", "Garcia", "Haddad",
    "Hofman", "Ivanov", "Jansen", "Kaya", "Keller", "Kowalska", "Lind", "Mendes", "Meyer", "Molenaar",
    "Novak", "Okafor", "Peeters", "Petrov", "Rossi", "Santos", "Schmidt", "Silva", "Smit", "Tanaka",
    "Visser", "Weber", "Wolters", "Yilmaz",
)  # fmt: skip
_CITIES = (
    "Amsterdam", "Antwerp", "Berlin", "Bremen", "Cologne", "Ghent", "Groningen", "Hamburg", "Leiden",
    "Lyon", "Porto", "Rotterdam", "Utrecht", "Vienna",
)  # fmt: skip
_MAIL = ("example.com", "example.net", "example.org")

# Name, price, and how often it sells compared with the others.
_PRODUCTS = (
    ("Wool socks, grey", 1490, 9), ("Wool socks, blue", 1490, 7), ("Hiking socks, thin", 1190, 6),
    ("Boots, leather, men", 18900, 2), ("Boots, leather, women", 18900, 2), ("Trail shoes", 12900, 3),
    ("Gaiters", 3990, 2), ("Boot wax, 100 ml", 890, 5), ("Laces, 150 cm", 590, 6),
    ("Rain jacket", 14900, 3), ("Rain trousers", 7990, 2), ("Fleece jumper", 6490, 4),
    ("Down jacket", 21900, 1), ("Merino shirt", 5990, 5), ("Sun hat", 2490, 4),
    ("Beanie", 1990, 5), ("Gloves, thin", 2290, 4), ("Mittens", 3490, 2),
    ("Rucksack, 25 l", 8990, 4), ("Rucksack, 55 l", 17900, 2), ("Rain cover", 1990, 4),
    ("Dry bag, 10 l", 1590, 5), ("Hip flask", 1790, 2), ("Water bottle, 1 l", 1890, 8),
    ("Water filter", 4490, 3), ("Vacuum flask", 2990, 5), ("Gas stove", 4990, 3),
    ("Gas cartridge, 230 g", 690, 9), ("Pot, 1.3 l", 3490, 3), ("Spork", 390, 8),
    ("Tent, one person", 24900, 1), ("Tent, two persons", 32900, 1), ("Pegs, set of ten", 1290, 4),
    ("Guy line, 20 m", 990, 3), ("Sleeping bag, summer", 9990, 2), ("Sleeping bag, winter", 25900, 1),
    ("Sleeping mat", 6990, 3), ("Inflatable pillow", 1990, 4), ("Head torch", 3990, 6),
    ("Batteries, set of four", 590, 7), ("Compass", 2790, 2), ("Map, 1:25,000", 1290, 6),
    ("Map case", 1490, 2), ("Walking poles, pair", 7990, 3), ("First aid kit", 2490, 5),
    ("Blister plasters", 690, 9), ("Sun cream, 50 ml", 990, 6), ("Whistle", 490, 3),
)  # fmt: skip
# Orders an hour of the day: people shop at lunch and in the evening.
_HOURS = (1, 1, 0, 0, 0, 1, 2, 3, 5, 6, 6, 7, 9, 8, 6, 6, 6, 7, 8, 10, 12, 11, 7, 3)


@dataclass
class Shop:
    """The shop's life from its opening until ``now`` (aware), which ``trade`` moves forward."""

    now: datetime
    chance: random.Random = field(default_factory=lambda: random.Random(20))
    orders_so_far: int = 0
    lines_so_far: int = 0

    def opening_rows(self) -> dict[str, list[Row]]:
        """All rows of the past, table by table, in the order of their keys."""
        customers = [self._customer(number) for number in range(1, _CUSTOMERS + 1)]
        products = [(number, name, price) for number, (name, price, _weight) in enumerate(_PRODUCTS, 1)]
        moments = sorted(self._moment_in_the_past() for _order in range(_ORDERS))
        return {"customers": customers, "products": products, **self._sell(moments)}

    def trade(self, orders: int) -> dict[str, list[Row]]:
        """The rows of so many new orders, placed in the last few minutes."""
        moments = sorted(self.now - timedelta(seconds=self.chance.randrange(5, 300)) for _order in range(orders))
        return self._sell(moments)

    def _sell(self, moments: list[datetime]) -> dict[str, list[Row]]:
        orders: list[Row] = []
        lines: list[Row] = []
        for moment in moments:
            self.orders_so_far += 1
            bought = list(self._lines_of(self.orders_so_far))
            goods = sum(quantity * price for _id, _order, _product, quantity, price in bought)
            shipping = 0 if goods >= _FREE_SHIPPING_FROM else _SHIPPING
            customer = self._who_buys(moment)
            orders.append(
                (self.orders_so_far, customer, _text(moment), self._status(moment), shipping, goods + shipping)
            )
            lines += bought
        return {"orders": orders, "order_lines": lines}

    def _lines_of(self, order: int) -> Iterator[tuple[int, int, int, int, int]]:
        kinds = self.chance.choices((1, 2, 3, 4, 5), weights=(34, 30, 20, 11, 5))[0]
        weights = [weight for _name, _price, weight in _PRODUCTS]
        # A product stands in an order once; what was drawn twice is bought in a larger quantity.
        drawn = self.chance.choices(range(1, len(_PRODUCTS) + 1), weights=weights, k=kinds)
        for product in dict.fromkeys(drawn):
            self.lines_so_far += 1
            yield self.lines_so_far, order, product, drawn.count(product), _PRODUCTS[product - 1][1]

    def _customer(self, number: int) -> Row:
        given, family = self.chance.choice(_GIVEN), self.chance.choice(_FAMILY)
        mail = f"{given}.{family}{number}@{self.chance.choice(_MAIL)}".lower()
        return number, f"{given} {family}", mail, self.chance.choice(_CITIES), _text(self._since(number))

    def _since(self, number: int) -> datetime:
        """When a customer signed up: evenly over the shop's life, the first on its first day."""
        return self.now - timedelta(days=_MONTHS_OPEN * 30.4) * ((_CUSTOMERS - number) / _CUSTOMERS)

    def _who_buys(self, moment: datetime) -> int:
        """Anybody who had signed up by then; those who came early buy more often."""
        life = timedelta(days=_MONTHS_OPEN * 30.4)
        signed_up = int(_CUSTOMERS * (1 - (self.now - moment) / life))
        return 1 + int(max(signed_up, 1) * self.chance.random() ** 1.3)

    def _moment_in_the_past(self) -> datetime:
        # The square root lets sales grow as the shop becomes known.
        days_open = int(_MONTHS_OPEN * 30.4)
        day = int((days_open - 1) * self.chance.random() ** 0.5) + 1
        midnight = self.now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days_open - day)
        hour = self.chance.choices(range(24), weights=_HOURS)[0]
        return midnight + timedelta(hours=hour, seconds=self.chance.randrange(3600))

    def _status(self, moment: datetime) -> str:
        """What has become of an order by now."""
        age = self.now - moment
        if age < timedelta(hours=6):
            return "paid"
        if age < timedelta(days=1):
            return self.chance.choice(("paid", "packed"))
        if age < timedelta(days=4):
            return self.chance.choice(("packed", "shipped", "shipped"))
        return self.chance.choices(("delivered", "returned", "cancelled"), weights=(92, 5, 3))[0]


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S+00:00")
