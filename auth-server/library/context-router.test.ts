import assert from 'node:assert/strict'
import { test } from 'node:test'
import LibraryRouter, { type LibraryContext, type Middleware } from 'oidc-provider/lib/helpers/router.js'
import ContextRouter from './context-router.ts'

/** What each middleware sees, with either router. */
async function passThrough(Router: typeof LibraryRouter): Promise<unknown[]> {
  const seen: unknown[] = []
  const ensureOIDC: Middleware = async (ctx, next) => {
    ctx.oidc ??= new (class Context {})()
    await next()
  }
  const atOnce = ((_ctx: LibraryContext, next: () => unknown) => next()) as Middleware
  const remapping: Middleware = (_ctx, next) =>
    next().catch((error: Error) => {
      seen.push(`remapped ${error.message}`)
      throw error
    })
  const throwing: Middleware = () => {
    throw new Error('at once')
  }
  const answering = (() => seen.push('answered')) as unknown as Middleware
  const around: Middleware = async (_ctx, next) => {
    seen.push('in')
    await next()
    seen.push('out')
  }
  const router = new Router()
    .get('answers', '/answers', ensureOIDC, around, atOnce, answering)
    .post('throws', '/throws', ensureOIDC, around, remapping, atOnce, throwing)
    .put('goes-on', '/goes-on', ensureOIDC, around, around)
  const call = async (method: string, path: string) => {
    const next = async () => void seen.push('next')
    try {
      await router.routes()({ method, path } as unknown as LibraryContext, next)
    } catch (error) {
      seen.push((error as Error).message)
    }
  }
  await call('GET', '/answers')
  await call('POST', '/throws')
  await call('PUT', '/goes-on')
  await call('GET', '/elsewhere')
  return seen
}

test('middlewares that are put together once pass each other what the library has them pass', async () => {
  const wanted = await passThrough(LibraryRouter)
  assert.deepEqual(wanted.slice(0, 6), ['in', 'answered', 'out', 'in', 'remapped at once', 'at once'])
  assert.deepEqual(await passThrough(ContextRouter), wanted)
})

test('a library that begins its routes in another way is not run', () => {
  assert.throws(() => new ContextRouter().get('jwks', '/jwks', async (_ctx, next) => next()), /begins its routes in another way/)
})
