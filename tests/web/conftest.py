"""The fixtures of the two ways to reach the service."""

from tests.ways import behind_the_front, both_ways, flask_alone, front_url, way

__all__ = ["behind_the_front", "both_ways", "flask_alone", "front_url", "way"]
