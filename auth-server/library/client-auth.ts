import library, * as libraryAuth from 'oidc-provider/lib/shared/client_auth.js'
import { actBeforeRefusal } from './before-refusal.ts'
import { neverChanges } from './params.ts'
import rejectDupes from './reject-dupes.ts'

const known = new WeakMap<object, ReadonlySet<string>>()

/** As the library's, which makes the same list for each request anew, twice. */
export function getClientAuthParams(ctx: libraryAuth.LibraryContext): ReadonlySet<string> {
  const { provider } = ctx.oidc
  const found = known.get(provider) ?? neverChanges(libraryAuth.getClientAuthParams(ctx))
  known.set(provider, found)
  return found
}

const [first, ...others] = library
if (first?.name !== 'rejectClientAuthDupes') throw new Error('this version of oidc-provider authenticates clients in another way')

const rejectClientAuthDupes: libraryAuth.Middleware = (ctx, next) => rejectDupes({ only: getClientAuthParams(ctx) }, ctx, next)

const clientAuth: typeof library = [rejectClientAuthDupes, ...others, actBeforeRefusal]

// What imports it is the library.
export { clientAuth as default }
