// What Pulumi's policy runtime requires, and calls: it lets node read the TypeScript beside this file.
module.exports = async () => {
  const { register } = await import("tsx/esm/api");
  register();
  await import("./pack.ts");
};
