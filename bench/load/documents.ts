import { formatRequest } from './connection.ts'
import { expectStatus, type Path, UnexpectedAnswer } from './path.ts'

/** What anyone may fetch as often as they like. */
function document(name: string, path: string, isWhole: (document: Record<string, unknown>, issuer: string) => boolean): Path {
  return {
    name,
    consistsOf: `GET ${path}`,
    leastRatio: 3,
    connects: ({ issuer, ca }) => ({ origin: issuer, credentials: { ca } }),
    prepare: async ({ issuer }) => {
      const request = formatRequest({ method: 'GET', origin: issuer, path })
      let latest = ''
      return {
        perform: async (connection) => {
          const answer = await connection.send(request)
          expectStatus(`GET ${path}`, 200, answer)
          latest = answer.body
        },
        check: () => {
          if (!isWhole(JSON.parse(latest), issuer)) throw new UnexpectedAnswer(`not what ${path} should hold: ${latest.slice(0, 300)}`)
        },
      }
    },
  }
}

export const jwks = document('JWKS', '/jwks', ({ keys }) => Array.isArray(keys) && keys.length > 0)
export const discovery = document('discovery', '/.well-known/openid-configuration', (found, issuer) => found['issuer'] === issuer)
