//! What files become.
