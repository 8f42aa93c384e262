import library, * as libraryObject from 'oidc-provider/lib/actions/authorization/process_request_object.js'

/** As the library's. Where there is no request object nothing is outside of it, and the parameters need not be gone through. */
export const stripOutsideJarParams: typeof libraryObject.stripOutsideJarParams = (ctx, next) =>
  ctx.oidc.params['request'] ? libraryObject.stripOutsideJarParams(ctx, next) : next()

// What imports it is the library.
export { library as default }
