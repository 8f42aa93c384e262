import contexts from 'oidc-provider/lib/helpers/als.js'
import LibraryRouter, { type LibraryContext, type Middleware } from 'oidc-provider/lib/helpers/router.js'
import { oneAfterAnother } from './one-after-another.ts'

/**
 * The library's router, but for two things that a request meets on every route.
 *
 * The library defines `ctx.oidc` with a getter of its own for each request. V8 keeps getters where only a full collection frees them,
 * with everything that they can reach: all that a request had made stayed until then, was copied twice on the way, and full collections
 * came ten times as often. Here it is what it would become as soon as anybody looks: a value.
 *
 * And it puts the middlewares of a route together anew for each request, bound one by one, up to fifty of them. Here that is done once
 * (one-after-another.ts).
 */
class ContextRouter extends LibraryRouter {
  override get(name: string, path: string, ...middleware: Middleware[]): this {
    return super.get(name, path, putTogether(middleware))
  }

  override post(name: string, path: string, ...middleware: Middleware[]): this {
    return super.post(name, path, putTogether(middleware))
  }

  override put(name: string, path: string, ...middleware: Middleware[]): this {
    return super.put(name, path, putTogether(middleware))
  }

  override delete(name: string, path: string, ...middleware: Middleware[]): this {
    return super.delete(name, path, putTogether(middleware))
  }

  override options(name: string, path: string, ...middleware: Middleware[]): this {
    return super.options(name, path, putTogether(middleware))
  }
}

// What imports it is the library.
export { ContextRouter as default }

type ContextClass = new (ctx: LibraryContext) => object

function putTogether([ensureContext, ...others]: Middleware[]): Middleware {
  if (ensureContext?.name !== 'ensureOIDC') throw new Error('this version of oidc-provider begins its routes in another way')
  const inContext = oneAfterAnother(others)
  let Context: ContextClass | undefined
  return (ctx, next) => {
    Context ??= contextClassOf(ensureContext)
    ctx.oidc = new Context(ctx)
    return contexts.run(ctx, () => inContext(ctx, next))
  }
}

/** Each provider has one of its own, which its own middleware knows. */
function contextClassOf(ensureContext: Middleware): ContextClass {
  const ctx = {} as LibraryContext
  void ensureContext(ctx, async () => {})
  return ctx.oidc.constructor as ContextClass
}
