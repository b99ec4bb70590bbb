//! The world of simulated clients, server, store, links and clock.
