/**
 * Environment variable that `./pipress destroy --purge` sets to `true`: a destroy runs no program that could tell a removal to
 * take the models along.
 */
export const purgeVariable = "PIPRESS_PURGE";
