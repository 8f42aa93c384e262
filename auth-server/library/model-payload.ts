import { onceForEach } from '@bankside/service-kit/remembered'
import library from 'oidc-provider/lib/models/payload.js'

type Model = { readonly IN_PAYLOAD: readonly string[] }

/** What may be in the payload of a model. */
export const membersOf = onceForEach(({ IN_PAYLOAD }: Model): ReadonlySet<string> => new Set(IN_PAYLOAD))

/** As the library's, which defines each member as a property: to assign is the same for every name but one, and quicker. */
function payloadOf(model: Model, input: unknown): Record<string, unknown> {
  const allowed = membersOf(model)
  if (typeof input !== 'object' || input === null || allowed.has('__proto__')) return library(model, input)
  const payload: Record<string, unknown> = {}
  for (const name of Object.keys(input)) if (allowed.has(name)) payload[name] = (input as Record<string, unknown>)[name]
  return payload
}

// What imports it is the library.
export { payloadOf as default }
