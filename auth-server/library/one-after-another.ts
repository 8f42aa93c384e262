import type { LibraryContext, Middleware } from 'oidc-provider/lib/helpers/router.js'

/**
 * Steps of the library that do nothing any more once they have gone on to the next. A request need not come back through them: each
 * would cost it a promise or more. Whatever is not here is gone through as ever.
 */
export const passable: ReadonlySet<string> = new Set([
  ...['noCache', 'cors', 'urlencoded', 'assembleClientAuthParams', 'assembleTokenParams', 'rejectClientAuthDupes', 'authenticateClient'],
  ...['assembleAuthorizationParams', 'rejectAuthorizationDupes', 'rejectUnsupported', 'stripOutsideJarParams', 'processRequestObject'],
  ...['checkResponseMode', 'oneRedirectUriClients', 'oauthRequired', 'rejectRegistration', 'checkResponseType', 'oidcRequired'],
  ...['checkPrompt', 'checkScope', 'checkOpenIdScope', 'checkRedirectUri', 'checkPKCE', 'checkClaims', 'checkRar', 'checkResource'],
  ...['checkMaxAge', 'checkIdTokenHint', 'checkDpopJkt', 'checkExtraParams', 'validateTokenPresence', 'rejectStructuredTokens'],
  ...['bound rejectDupes', 'stripGrantIrrelevantParams', 'supportedGrantTypeCheck', 'allowedGrantTypeCheck', 'rejectDupesOptionalExcept'],
  ...['validateScope', 'ensureRarResource'],
  ...['checkClient', 'loadPushedAuthorizationRequest', 'assignDefaults', 'interactionEmit', 'assignClaims', 'loadAccount', 'loadGrant'],
])

type Step = { readonly run: Middleware; readonly isPassed: boolean }

/** All of a route's middlewares as one. */
export function oneAfterAnother(middlewares: readonly Middleware[]): Middleware {
  const steps = middlewares.map((run): Step => ({ run, isPassed: passable.has(run.name) }))
  return (ctx, next) => goThrough(steps, 0, { ctx, next })
}

type Going = { readonly ctx: LibraryContext; readonly next: () => Promise<void> }

async function goThrough(steps: readonly Step[], from: number, going: Going): Promise<void> {
  const { ctx, next } = going
  let goesOn = true
  const goOn = () => {
    goesOn = true
  }
  for (let at = from; at < steps.length; at++) {
    const { run, isPassed } = steps[at] as Step
    if (!isPassed) return run(ctx, () => goThrough(steps, at + 1, going))
    goesOn = false
    const passed: Promise<void> | undefined = run(ctx, goOn as typeof next)
    if (passed !== undefined) await passed
    if (!goesOn) return
  }
  return next()
}
