"""What a person is asked before an app gets anything, and what their answer makes."""
