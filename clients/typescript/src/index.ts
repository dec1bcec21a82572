// Everything that `portcullis-client` exports.
export { createClient, type Client, type ClientOptions, type Request } from "./client.js";
export { ProblemError, NetworkError, SignedOutError, type ErrorCode, type FieldError } from "./errors.js";
export type { AuthState, AuthStatus, SignedOutReason, Trouble } from "./state.js";
export type {
  Credentials,
  EnabledFactor,
  LogoutOptions,
  LogoutResult,
  MadePasskey,
  PasskeyProof,
  Proof,
  Recovery,
} from "./sign-in.js";
export type { OnStepUp, StepUp } from "./step-up.js";
export type { AxiosLike } from "./axios.js";
export { browserEnvironment, type Channel, type Environment, type Locks } from "./environment.js";
export type { Method, OperationOf, OptionsOf, PathsOf, ResultOf, Schemas, User } from "./api.js";
export type { components, operations, paths } from "./api-types.js";
export { solveProofOfWork, type Puzzle } from "./proof-of-work.js";
export { keepSocketSignedIn, type SocketLike } from "./socket.js";
export { approvalApi, authApi, mfaApi, tradingAccountApi, userApi } from "./apis.js";
