import Library from 'oidc-provider/lib/helpers/params.js'

type Values = Record<string, unknown>

/** An empty one for each list that is the same with every request. */
const blanks = new WeakMap<ReadonlySet<string>, Values>()

/** Says that nobody changes a list any more. */
export function neverChanges(names: ReadonlySet<string>): ReadonlySet<string> {
  blanks.set(names, Object.fromEntries([...names].map((name) => [name, undefined])))
  return names
}

/**
 * As the library's: an object with every name of a list, in its order. The library puts it together name by name, which takes
 * a while, and makes an object that takes a while to go through. Where the list is known it is a copy of an empty one, into which
 * what is there is written.
 */
function Params(names: ReadonlySet<string>, values: Values): Values {
  const blank = blanks.get(names)
  if (blank === undefined) return new Library(names, values)
  const params: Values = Object.setPrototypeOf({ ...blank }, Library.prototype)
  for (const name of Object.keys(values)) if (names.has(name)) params[name] = values[name] || undefined
  return params
}

// What imports it, and calls it with `new`, is the library.
export { Params as default }
