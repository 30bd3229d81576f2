// The page in the launcher's frame.

import "../embedded.js";
