import type { Route } from './api.ts'
import { MethodNotAllowed, refuseRequest } from './request-refusal.ts'

export type Matched = { readonly route: Route; readonly parameters: Readonly<Record<string, string>> }

const pathLimit = 1_024

/**
 * Finds the route of a path behind the API's prefix. Paths are compared as they came: no decoding, no trailing slash,
 * no other spelling of the same thing.
 *
 * @throws {Refusal} `path_unknown`, `method_not_allowed`.
 */
export function routeMatcher(routes: readonly Route[]): (method: string, path: string) => Matched {
  const patterns = routes.map((route) => ({ route, segments: route.path.split('/') }))
  return (method, path) => {
    if (path.length > pathLimit) refuseRequest('path_unknown', 'the path is too long')
    const segments = path.split('/')
    const candidates = patterns.flatMap(({ route, segments: pattern }) => {
      const parameters = match(pattern, segments)
      return parameters === undefined ? [] : [{ route, parameters }]
    })
    // A literal beats a parameter: `/transactions/transfer` is not the transaction named transfer.
    const [literal] = candidates.toSorted((one, other) => Object.keys(one.parameters).length - Object.keys(other.parameters).length)
    if (literal === undefined) return refuseRequest('path_unknown', 'there is nothing here')
    const best = candidates.filter(({ route }) => route.path === literal.route.path)
    const found = best.find(({ route }) => route.method === method)
    if (found === undefined) throw new MethodNotAllowed(best.map(({ route }) => route.method))
    return found
  }
}

function match(pattern: readonly string[], segments: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== segments.length) return undefined
  const parameters: Record<string, string> = {}
  for (const [index, expected] of pattern.entries()) {
    const segment = segments[index] ?? ''
    if (expected.startsWith(':') && segment !== '') parameters[expected.slice(1)] = segment
    else if (expected !== segment) return undefined
  }
  return parameters
}
