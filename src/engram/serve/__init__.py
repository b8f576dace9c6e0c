"""From trained runs to a service: several models over HTTP, batched, guarded, watched, and a page to try them."""
