import contexts from 'oidc-provider/lib/helpers/als.js'
import LibraryRouter, { type LibraryContext, type Middleware } from 'oidc-provider/lib/helpers/router.js'

/**
 * The library's router, but for the first thing that a request meets on every route. The library defines `ctx.oidc` there with a getter
 * of its own for each request. V8 keeps getters where only a full collection frees them, with everything that they can reach: all that a
 * request had made stayed until then, was copied twice on the way, and full collections came ten times as often. Here it is what it
 * would become as soon as anybody looks: a value.
 */
class ContextRouter extends LibraryRouter {
  override get(name: string, path: string, ...middleware: Middleware[]): this {
    return super.get(name, path, ...withPlainContext(middleware))
  }

  override post(name: string, path: string, ...middleware: Middleware[]): this {
    return super.post(name, path, ...withPlainContext(middleware))
  }

  override put(name: string, path: string, ...middleware: Middleware[]): this {
    return super.put(name, path, ...withPlainContext(middleware))
  }

  override delete(name: string, path: string, ...middleware: Middleware[]): this {
    return super.delete(name, path, ...withPlainContext(middleware))
  }

  override options(name: string, path: string, ...middleware: Middleware[]): this {
    return super.options(name, path, ...withPlainContext(middleware))
  }
}

// What imports it is the library.
export { ContextRouter as default }

type ContextClass = new (ctx: LibraryContext) => object

function withPlainContext([ensureContext, ...others]: Middleware[]): Middleware[] {
  if (ensureContext?.name !== 'ensureOIDC') throw new Error('this version of oidc-provider begins its routes in another way')
  let Context: ContextClass | undefined
  return [
    (ctx, next) => {
      Context ??= contextClassOf(ensureContext)
      ctx.oidc = new Context(ctx)
      return contexts.run(ctx, next)
    },
    ...others,
  ]
}

/** Each provider has one of its own, which its own middleware knows. */
function contextClassOf(ensureContext: Middleware): ContextClass {
  const ctx = {} as LibraryContext
  void ensureContext(ctx, async () => {})
  return ctx.oidc.constructor as ContextClass
}
