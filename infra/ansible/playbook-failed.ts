import { UserError } from "../../common/user-error.ts";

/** The play began and did not come to its end: the host may be halfway. */
export class PlaybookFailed extends UserError {}
