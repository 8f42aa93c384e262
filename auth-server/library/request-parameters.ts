import * as library from 'oidc-provider/lib/actions/authorization/request_parameters.js'
import assembleParams from 'oidc-provider/lib/shared/assemble_params.js'
import { neverChanges } from './params.ts'

export {
  assignDefaults,
  checkExtraParams,
  checkMaxAge,
  checkPrompt,
  rejectAuthorizationDupes,
  rejectRegistration,
  rejectUnsupported,
} from 'oidc-provider/lib/actions/authorization/request_parameters.js'

/** By provider, then by route: its configuration decides, and stays as it is. */
const known = new WeakMap<object, Map<string, ReadonlySet<string>>>()

/** As the library's, which makes the same list for each request anew. */
export function getAuthorizationParams(ctx: library.LibraryContext): ReadonlySet<string> {
  const { provider, route } = ctx.oidc
  const ofProvider = known.get(provider) ?? new Map<string, ReadonlySet<string>>()
  known.set(provider, ofProvider)
  const found = ofProvider.get(route) ?? neverChanges(library.getAuthorizationParams(ctx))
  ofProvider.set(route, found)
  return found
}

export const assembleAuthorizationParams: library.Middleware = (ctx, next) => assembleParams(getAuthorizationParams(ctx), ctx, next)
