export type Listener = 'issuer' | 'mtls'

export type Endpoint = {
  /** For logs and metrics: addresses hold request URIs and interaction ids. */
  readonly name: string
  readonly path: RegExp
  readonly methods: readonly ('GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE')[]
  readonly at: readonly Listener[]
  /** What errors look like: pages are for people, JSON is for programs. */
  readonly answers: 'page' | 'json' | 'asset'
  /** What a body may be, and how long; of an endpoint that does not say, a form. */
  readonly body?: { readonly mediaTypes: readonly string[]; readonly atMostBytes: number }
  /** For what says nothing of addresses: inside the bank's network the server may be reached by another name. */
  readonly underAnyName?: true
}

const uid = '[A-Za-z0-9_-]{21,64}'
const consent = 'con_[0-9a-f]{32}'
const request = 'bar_[0-9a-f]{32}'
const both = ['issuer', 'mtls'] as const
const issuerOnly = ['issuer'] as const
const mtlsOnly = ['mtls'] as const
/** Signed, or JSON (UKDCR-01, UKDCR-19). */
const registrationBody = { mediaTypes: ['application/jwt', 'application/jose', 'application/json'], atMostBytes: 64 * 1024 } as const

/** Everything that this process serves. Whatever is not here does not exist, on whichever listener it is not. */
export const endpoints: readonly Endpoint[] = [
  {
    name: 'discovery',
    path: /^\/\.well-known\/(openid-configuration|oauth-authorization-server)$/,
    methods: ['GET', 'HEAD'],
    at: both,
    answers: 'json',
  },
  { name: 'jwks', path: /^\/jwks$/, methods: ['GET', 'HEAD'], at: both, answers: 'json', underAnyName: true },
  { name: 'par', path: /^\/par$/, methods: ['POST'], at: both, answers: 'json' },
  { name: 'token', path: /^\/token$/, methods: ['POST'], at: both, answers: 'json' },
  { name: 'revocation', path: /^\/revocation$/, methods: ['POST'], at: both, answers: 'json' },
  { name: 'backchannel', path: /^\/backchannel$/, methods: ['POST'], at: both, answers: 'json' },
  { name: 'introspection', path: /^\/introspection$/, methods: ['POST'], at: both, answers: 'json' },
  { name: 'userinfo', path: /^\/userinfo$/, methods: ['GET', 'POST'], at: both, answers: 'json' },
  { name: 'register', path: /^\/register$/, methods: ['POST'], at: mtlsOnly, answers: 'json', body: registrationBody },
  {
    name: 'registered_client',
    path: /^\/register\/[A-Za-z0-9._-]{1,64}$/,
    methods: ['GET', 'PUT', 'DELETE'],
    at: mtlsOnly,
    answers: 'json',
    body: registrationBody,
  },
  { name: 'grant', path: /^\/grants\/[\w.~-]{1,128}$/, methods: ['GET', 'DELETE'], at: both, answers: 'json' },
  { name: 'authorization', path: /^\/auth$/, methods: ['GET'], at: issuerOnly, answers: 'page' },
  { name: 'resume', path: new RegExp(`^/auth/${uid}$`), methods: ['GET'], at: issuerOnly, answers: 'page' },
  { name: 'interaction', path: new RegExp(`^/interaction/${uid}$`), methods: ['GET', 'POST'], at: issuerOnly, answers: 'page' },
  { name: 'leave', path: new RegExp(`^/interaction/${uid}/leave$`), methods: ['GET'], at: issuerOnly, answers: 'page' },
  { name: 'end_session', path: /^\/session\/end$/, methods: ['GET', 'POST'], at: issuerOnly, answers: 'page' },
  { name: 'end_session_confirm', path: /^\/session\/end\/confirm$/, methods: ['POST'], at: issuerOnly, answers: 'page' },
  { name: 'dashboard', path: /^\/connected-accounts$/, methods: ['GET'], at: issuerOnly, answers: 'page' },
  { name: 'dashboard_sign_in', path: /^\/connected-accounts\/sign-in$/, methods: ['GET', 'POST'], at: issuerOnly, answers: 'page' },
  { name: 'waiting_requests', path: /^\/connected-accounts\/requests$/, methods: ['GET'], at: issuerOnly, answers: 'page' },
  {
    name: 'waiting_request',
    path: new RegExp(`^/connected-accounts/requests/${request}$`),
    methods: ['GET', 'POST'],
    at: issuerOnly,
    answers: 'page',
  },
  { name: 'dashboard_limits', path: /^\/connected-accounts\/limits$/, methods: ['GET', 'POST'], at: issuerOnly, answers: 'page' },
  { name: 'dashboard_sign_out', path: /^\/connected-accounts\/sign-out$/, methods: ['POST'], at: issuerOnly, answers: 'page' },
  {
    name: 'dashboard_consent',
    path: new RegExp(`^/connected-accounts/${consent}$`),
    methods: ['GET', 'POST'],
    at: issuerOnly,
    answers: 'page',
  },
  {
    name: 'dashboard_stop',
    path: new RegExp(`^/connected-accounts/${consent}/stop$`),
    methods: ['GET', 'POST'],
    at: issuerOnly,
    answers: 'page',
  },
  {
    name: 'dashboard_proof',
    path: new RegExp(`^/connected-accounts/${consent}/proof$`),
    methods: ['GET'],
    at: issuerOnly,
    answers: 'page',
  },
  { name: 'asset', path: /^\/assets\/[a-z0-9.-]+$/, methods: ['GET', 'HEAD'], at: issuerOnly, answers: 'asset' },
]

export const findEndpoint = (path: string, listener: Listener): Endpoint | undefined =>
  endpoints.find((endpoint) => endpoint.at.includes(listener) && endpoint.path.test(path))
