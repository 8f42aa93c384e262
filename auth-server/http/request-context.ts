import type { Log } from '@bankside/service-kit/log'
import type Koa from 'koa'
import type { Endpoint } from './endpoints.ts'

export type State = {
  /** x-fapi-interaction-id of the caller, or one of ours: in every log line and on every page with bad news. */
  readonly requestId: string
  readonly log: Log
  readonly endpoint: Endpoint | undefined
}

export type Context = Koa.ParameterizedContext<State>
export type Next = Koa.Next
