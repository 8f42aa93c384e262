import type { RequestListener } from 'node:http'
import type { Api } from './api.ts'
import { auditKeysPath, auditKeysServer, type PublishedKeys } from './audit-keys.ts'
import { bankApi } from './bank-api/routes.ts'
import { exchangeOf } from './exchange.ts'
import { type Serve, type Services, serve } from './pipeline.ts'
import { ukApi } from './uk/routes.ts'

export type Audiences = { readonly uk: string; readonly bank: string }

/** Both APIs side by side: they share steps and the bank behind them, never a route, a token or a table of refusals. */
export function createApp(services: Services, audiences: Audiences, auditKeys?: PublishedKeys): RequestListener {
  const uk = ukApi(audiences.uk)
  const bank = bankApi(audiences.bank)
  const servers = [uk, bank].map((api): readonly [prefix: string, Serve] => [`${api.prefix}/`, serve(api, services)])
  // What no API serves is answered like an unknown path of the nearest.
  const nowhere = (api: Api) => serve({ ...api, prefix: '', routes: [] }, services)
  const publishing = auditKeys && auditKeysServer(auditKeys, services)
  const elsewhere = { uk: nowhere(uk), bank: nowhere(bank) }

  return (request, response) => {
    const exchange = exchangeOf(request, response)
    if (publishing !== undefined && exchange.path === auditKeysPath) return void publishing(exchange)
    const [, served] = servers.find(([prefix]) => exchange.path.startsWith(prefix)) ?? []
    void (served ?? elsewhere[exchange.path.startsWith('/open-banking/') ? 'uk' : 'bank'])(exchange)
  }
}
