"""What every room uses: errors, atomic files, name patterns."""
