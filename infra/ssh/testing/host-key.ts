/** A public host key whose private half nobody has. */
export const hostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGSlG8/cAwe75PzWdkgMm1V/RBxhRKjAae1wyyRCy0D2";
