"""What a call, a registration and a message cost, measured beside Kamailio in the same run: ``make bench``."""
