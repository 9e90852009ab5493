"""Pseudo-labels: a teacher's disparity for every image of many shards, by any number of independent workers."""
