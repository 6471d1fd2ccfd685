"""Our own region-isolated store as a system under test."""
