import Koa, { type Middleware } from 'koa'
import type { Api } from './api.ts'
import { bankApi } from './bank-api/routes.ts'
import { type Services, serve } from './pipeline.ts'
import { ukApi } from './uk/routes.ts'

export type Audiences = { readonly uk: string; readonly bank: string }

/** Both APIs side by side: they share steps and the bank behind them, never a route, a token or a table of refusals. */
export function createApp(services: Services, audiences: Audiences): Koa {
  const uk = ukApi(audiences.uk)
  const bank = bankApi(audiences.bank)
  const servers = [uk, bank].map((api): readonly [Api, Middleware] => [api, serve(api, services)])
  // What no API serves is answered like an unknown path of the nearest.
  const elsewhere = { uk: serve({ ...uk, prefix: '', routes: [] }, services), bank: serve({ ...bank, prefix: '', routes: [] }, services) }

  const app = new Koa()
  app.silent = true
  app.use((ctx, next) => {
    const [, middleware] = servers.find(([{ prefix }]) => ctx.path.startsWith(`${prefix}/`)) ?? []
    return (middleware ?? elsewhere[ctx.path.startsWith('/open-banking/') ? 'uk' : 'bank'])(ctx, next)
  })
  return app
}
