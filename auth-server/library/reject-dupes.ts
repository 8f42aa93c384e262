import library, { type Dupes, type LibraryContext } from 'oidc-provider/lib/shared/reject_dupes.js'

/** As the library's, which makes a list of all parameters to find that none came twice. */
function rejectDupes(which: Dupes | undefined, ctx: LibraryContext, next: () => unknown): unknown {
  const { params } = ctx.oidc
  return Object.keys(params).some((name) => Array.isArray(params[name])) ? library(which, ctx, next) : next()
}

// What imports it is the library.
export { rejectDupes as default }
