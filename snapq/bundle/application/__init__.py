"""What a bundle has for the application that uses it, made for its model.

```
README.md                what the model takes and gives, which runtime it needs, what to ship
include/snapq_model.h    the same for C and C++, with what converts to it and from it
samples/                 programs that run it, in C++, Python, C# and Kotlin
labels.txt               what the classes are called, where that is known
verify.py                golden data, placement and latency on the machine that it runs on
```

The texts are templates in `templates/`, filled in with what the manifest says.
"""

from snapq.bundle.application.facts import ApplicationFacts
from snapq.bundle.application.write import for_applications, write_application

__all__ = ["ApplicationFacts", "for_applications", "write_application"]
