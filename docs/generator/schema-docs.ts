import { join } from "node:path";
import ts from "typescript";
import type { z } from "zod";
import { repoRoot } from "../../common/paths.ts";
import { duration } from "../../infra/config/duration.ts";
import { size } from "../../infra/config/size.ts";
import type { DocumentedKey } from "./key-list.ts";

/** Properties of zod's definitions that the walk looks at. */
interface Definition {
  type: string;
  innerType?: z.ZodType;
  element?: z.ZodType;
  valueType?: z.ZodType;
  in?: z.ZodType;
  out?: z.ZodType;
  options?: z.ZodType[];
  shape?: Record<string, z.ZodType>;
  entries?: Record<string, string>;
  values?: unknown[];
  defaultValue?: unknown;
}

/** A schema's comments live in its TypeScript type; both are walked side by side. */
interface Node {
  schema: z.ZodType;
  type: ts.Type | undefined;
}

/** Reads the schemas that a module exports, and the comments on their keys. */
export class SchemaModule {
  private readonly checker: ts.TypeChecker;
  private readonly exports: Map<string, ts.Type>;

  /**
   * @param paths of the modules, relative to the repository
   * @param variants of schemas that hide what they accept behind a function: exported schemas by name
   */
  constructor(
    paths: readonly string[],
    private readonly variants: ReadonlyMap<z.ZodType, Readonly<Record<string, z.ZodType>>>,
  ) {
    const files = paths.map((path) => join(repoRoot, path));
    const config = ts.readConfigFile(join(repoRoot, "tsconfig.json"), (name) => ts.sys.readFile(name));
    const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, repoRoot);
    const program = ts.createProgram(files, options);
    this.checker = program.getTypeChecker();
    const modules = files.map((file) => program.getSourceFile(file)).filter((source) => source !== undefined);
    const symbols = modules.map((source) => this.checker.getSymbolAtLocation(source));
    this.exports = new Map(
      symbols
        .flatMap((module) => (module === undefined ? [] : this.checker.getExportsOfModule(module)))
        .map((symbol) => [symbol.name, this.checker.getTypeOfSymbol(symbol)]),
    );
  }

  /** Every key below the schema that the module exports as `name`, in the order in which they are declared. */
  keys(name: string, schema: z.ZodType): DocumentedKey[] {
    return this.below({ schema, type: this.exports.get(name) }, "");
  }

  private below(node: Node, path: string): DocumentedKey[] {
    const { schema, type } = node;
    const definition = definitionOf(schema);
    const variants = this.variants.get(schema);
    if (variants !== undefined)
      return Object.entries(variants).flatMap(([name, variant]) =>
        this.below({ schema: variant, type: this.exports.get(name) }, path),
      );
    const inner = (property: "innerType" | "element" | "valueType" | "in" | "out"): Node | undefined => {
      const next = definition[property];
      return next && { schema: next, type: this.member(type, "_zod", "def", property) };
    };
    switch (definition.type) {
      case "object":
        return Object.entries(definition.shape ?? {}).flatMap(([key, value]) =>
          this.key(
            { schema: value, type: this.member(type, "shape", key) },
            path,
            key,
            this.comment(type, key),
          ),
        );
      case "array":
        return this.optional(inner("element"), `${path}[]`);
      case "record":
        return this.optional(inner("valueType"), path === "" ? "NAME" : `${path}.NAME`);
      case "union": {
        const types = this.elements(this.member(type, "_zod", "def", "options"));
        return (definition.options ?? []).flatMap((schema, index) =>
          this.below({ schema, type: types[index] }, path),
        );
      }
      case "pipe":
        return [...this.optional(inner("in"), path), ...this.optional(inner("out"), path)];
      default:
        return this.optional(inner("innerType"), path);
    }
  }

  private optional(node: Node | undefined, path: string): DocumentedKey[] {
    return node === undefined ? [] : this.below(node, path);
  }

  private key(node: Node, parent: string, name: string, comment: Comment): DocumentedKey[] {
    const path = parent === "" ? name : `${parent}.${name}`;
    const nested = this.below(node, path);
    const own: DocumentedKey = {
      path,
      identity: innermost(node.schema),
      type: typeText(node.schema),
      default: comment.default ?? defaultText(node.schema),
      required: !node.schema.safeParse(undefined).success,
      description: comment.text,
      example: comment.example,
    };
    return [own, ...nested];
  }

  private member(type: ts.Type | undefined, ...names: string[]): ts.Type | undefined {
    return names.reduce<ts.Type | undefined>((current, name) => {
      const symbol = current && this.checker.getPropertyOfType(current, name);
      return symbol && this.checker.getTypeOfSymbol(symbol);
    }, type);
  }

  private elements(tuple: ts.Type | undefined): readonly ts.Type[] {
    return tuple === undefined ? [] : this.checker.getTypeArguments(tuple as ts.TypeReference);
  }

  /** The comment on a key, else the one on the schema that the key is declared with: `bastion: bastion.optional()`. */
  private comment(type: ts.Type | undefined, key: string): Comment {
    const shape = this.member(type, "shape");
    const symbol = shape && this.checker.getPropertyOfType(shape, key);
    const own = this.commentOf(symbol);
    if (own.text !== "") return own;
    const declared = this.commentOf(symbol && this.declaredWith(symbol));
    return {
      ...declared,
      default: own.default ?? declared.default,
      example: own.example ?? declared.example,
    };
  }

  private commentOf(symbol: ts.Symbol | undefined): Comment {
    const tags = symbol?.getJsDocTags(this.checker) ?? [];
    const tagText = (name: string): string | undefined => {
      const tag = tags.find((candidate) => candidate.name === name);
      return tag && ts.displayPartsToString(tag.text).trim();
    };
    const text = ts.displayPartsToString(symbol?.getDocumentationComment(this.checker));
    return {
      text: text.replace(/\s+/g, " ").trim(),
      default: tagText("default"),
      example: tagText("example"),
    };
  }

  private declaredWith(property: ts.Symbol): ts.Symbol | undefined {
    const declaration = property.valueDeclaration ?? property.declarations?.[0];
    if (declaration === undefined) return undefined;
    if (ts.isShorthandPropertyAssignment(declaration))
      return this.original(this.checker.getShorthandAssignmentValueSymbol(declaration));
    if (!ts.isPropertyAssignment(declaration)) return undefined;
    let expression = declaration.initializer;
    while (ts.isCallExpression(expression) || ts.isPropertyAccessExpression(expression))
      expression = expression.expression;
    return ts.isIdentifier(expression)
      ? this.original(this.checker.getSymbolAtLocation(expression))
      : undefined;
  }

  private original(symbol: ts.Symbol | undefined): ts.Symbol | undefined {
    const isImport = symbol !== undefined && (symbol.flags & ts.SymbolFlags.Alias) !== 0;
    const original = isImport ? this.checker.getAliasedSymbol(symbol) : symbol;
    // `z` itself is no schema of ours.
    return original?.valueDeclaration?.getSourceFile().fileName.includes("node_modules")
      ? undefined
      : original;
  }
}

interface Comment {
  text: string;
  default: string | undefined;
  example: string | undefined;
}

function definitionOf(schema: z.ZodType): Definition {
  return schema.def as unknown as Definition;
}

/** Below what makes it optional or gives it a default. */
function innermost(schema: z.ZodType): z.ZodType {
  const inner = definitionOf(schema).innerType;
  return inner === undefined || definitionOf(inner).type !== "object" ? schema : innermost(inner);
}

/** Texts with a unit, which are numbers once they are read. */
const textsWithUnit = new Map<unknown, string>([
  [duration, "duration"],
  [size, "size"],
]);

function typeText(schema: z.ZodType): string {
  const definition = definitionOf(schema);
  const known = textsWithUnit.get(schema);
  if (known !== undefined) return known;
  const inner = definition.innerType ?? definition.in;
  switch (definition.type) {
    case "string":
      return "text";
    case "number":
      return numberText(schema as z.ZodNumber);
    case "boolean":
      return "true or false";
    case "enum":
      return Object.values(definition.entries ?? {})
        .map((value) => `\`${value}\``)
        .join(" or ");
    case "literal":
      return (definition.values ?? []).map((value) => `\`${String(value)}\``).join(" or ");
    case "array":
      return `list of ${definition.element ? typeText(definition.element) : "anything"}`;
    case "record":
      return `map of names to ${definition.valueType ? typeText(definition.valueType) : "anything"}`;
    case "union":
      return [...new Set((definition.options ?? []).map(typeText))].join(" or ");
    case "object":
      return "object";
    case "unknown":
      return "object";
    default:
      return inner === undefined ? definition.type : typeText(inner);
  }
}

function numberText(schema: z.ZodNumber): string {
  const name = schema.isInt ? "integer" : "number";
  const limit = (value: number | null): number | undefined =>
    value !== null && Number.isFinite(value) && Math.abs(value) !== Number.MAX_SAFE_INTEGER
      ? value
      : undefined;
  const [low, high] = [limit(schema.minValue), limit(schema.maxValue)];
  if (low !== undefined && high !== undefined) return `${name}, ${String(low)} to ${String(high)}`;
  if (high !== undefined) return `${name}, at most ${String(high)}`;
  return low === undefined ? name : `${name}, at least ${String(low)}`;
}

/** A default as it would be written; objects are left to their own keys. */
function defaultText(schema: z.ZodType): string | undefined {
  const value = definitionOf(schema).defaultValue;
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return value === undefined || isObject ? undefined : JSON.stringify(value);
}
