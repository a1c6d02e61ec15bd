//! `burn-ptq schema`.

use crate::args::SchemaOf;
use crate::output;

pub(crate) fn run(of: SchemaOf) -> anyhow::Result<()> {
    let schema = match of {
        SchemaOf::Recipe => burn_ptq::schema::recipe(),
        SchemaOf::Task => burn_ptq_eval::schema::task(),
        SchemaOf::Report => burn_ptq_eval::schema::report(),
        SchemaOf::Study => burn_ptq_study::schema::study(),
        SchemaOf::ResultLine => burn_ptq_study::schema::result_line(),
    };
    output::json(schema.as_value())
}
