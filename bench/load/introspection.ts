import type { Target } from '../targets/target.ts'
import { authentication } from './client-credentials.ts'
import { authoriseMany } from './code-flow.ts'
import { formatRequest } from './connection.ts'
import { expectStatus, type Path, UnexpectedAnswer } from './path.ts'

const tokensPerRound = 8

/** The product only answers about a token whose grant it wrote itself: that takes a whole flow. */
const tokensOf = async (target: Target): Promise<readonly string[]> =>
  target.tokensToAskAbout?.(tokensPerRound) ??
  (await authoriseMany(target, tokensPerRound)).map((answer) => (JSON.parse(answer) as { access_token: string }).access_token)

export const introspection: Path = {
  name: 'introspection',
  consistsOf:
    'POST to the introspection endpoint by a resource server with a new private_key_jwt assertion, about an access token of a customer; the product looks at a JWT and how its grant and consent stand, the peer at an opaque token and its grant',
  leastRatio: 2.7,
  connects: ({ issuer, ca }) => ({ origin: issuer, credentials: { ca } }),
  prepare: async (target, count) => {
    const { issuer, introspector, introspectionPath } = target
    const tokens = await tokensOf(target)
    const requests = Array.from({ length: count }, (_, index) =>
      formatRequest({
        method: 'POST',
        origin: issuer,
        path: introspectionPath,
        form: { token: tokens[index % tokens.length] ?? '', token_type_hint: 'access_token', ...authentication(introspector, issuer) },
      }),
    )
    const answers: string[] = []
    return {
      perform: async (connection, index) => {
        const answer = await connection.send(requests[index] ?? '')
        expectStatus(`POST ${introspectionPath}`, 200, answer)
        answers.push(answer.body)
      },
      check: () => {
        for (const answer of answers) checkActive(answer)
      },
    }
  },
}

function checkActive(body: string): void {
  const { active, scope, sub, cnf } = JSON.parse(body) as Record<string, unknown>
  if (active !== true || scope !== 'openid accounts' || typeof sub !== 'string' || cnf === undefined)
    throw new UnexpectedAnswer(`a token that is not active, or of which too little is told: ${body.slice(0, 300)}`)
}
